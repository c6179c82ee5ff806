"""Networks from elsewhere: torchvision's, timm's, and a person's own."""
